"""The published dataset: fetching it when somebody asks, unpacking it, and taking its ice tables apart into runs."""
