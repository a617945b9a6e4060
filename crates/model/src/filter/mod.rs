//! The filter, sort and rule language: text to syntax tree, syntax tree to `query`.
