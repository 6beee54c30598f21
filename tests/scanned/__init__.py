"""What the tests of scans share: small images, planted secrets, innocent look-alikes, advisories."""
