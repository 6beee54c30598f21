"""What runs while an image is made: the user's steps and foreign build code, kept apart from the host.

Knows layers and an engine; must not know projects' tasks, runs or services.
"""
