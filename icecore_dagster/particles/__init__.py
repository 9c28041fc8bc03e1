"""The particle table: vocabulary, schemas, measurements from pixels, splits, packed crops and where tables live."""
