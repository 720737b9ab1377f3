"""
What `check` looks at, one noun a module: each gives findings, and changes nothing.

`finding` is what they give, `system` where they look; `report` puts findings into words.
"""
