import numpy
import six

print("built again", numpy.arange(3).sum(), six.PY3)
