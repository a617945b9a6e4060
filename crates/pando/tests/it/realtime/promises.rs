//! What only Pando promises of event streams.
