//! A topology as plain data, and the processes that make it real on one machine. Knows nothing of collections, rules
//! or HTTP: a node is a program with arguments, a directory, an address and a log.
