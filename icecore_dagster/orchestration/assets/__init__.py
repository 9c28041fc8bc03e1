"""The assets, one module a stage; each is a name, its dependencies and one call into the domain."""
