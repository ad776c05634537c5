"""The structure of modules, after chapter 2 of the specification: types and the module itself."""
