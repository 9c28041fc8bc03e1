"""The reference study again: every figure of it measured here, beside the published one."""
