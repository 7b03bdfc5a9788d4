"""`make licences` writes docs/licences.md from the metadata of the installed packages; see also `make sbom`."""
