#!/usr/bin/env python3
import ctypes
import shutil

import six

ctypes.CDLL("libsndfile.so.1")
ctypes.CDLL("libglib-2.0.so.0")
print("loaded", "curl" if shutil.which("curl") else "no curl", six.__version__)
