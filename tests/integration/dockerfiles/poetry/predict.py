import sys

import six
from sortedcontainers import SortedList

print(SortedList([3, 1, 2])[: int(sys.argv[1])], six.__version__)
