//! Evaluates an expression in memory, for rules that need no database.
