"""How bytes come from elsewhere: local files and HTTP with ranges, retries and proxies.

Knows URLs, sizes and digests; must not know what a wheel or a package is.
"""
