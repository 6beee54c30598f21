import six
import torch

print("torch", torch.__version__, "six", six.__version__)
