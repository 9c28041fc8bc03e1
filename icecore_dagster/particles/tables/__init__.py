"""The tables that are kept: declared once, stored whole below one root, doubted before they are built on."""
