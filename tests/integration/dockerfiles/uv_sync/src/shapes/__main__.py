from importlib.metadata import version
from importlib.util import find_spec

import attrs


@attrs.define
class Circle:
    radius: float


print(Circle(2.0), version("shapes"), "iniconfig" if find_spec("iniconfig") else "no dev group")
