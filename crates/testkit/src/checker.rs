//! The proof that nothing is lost. A mixed load records every request and what came of it; a judge then says what the
//! record does not allow. `judge` is a pure function over `history`; `load` makes histories of a running installation;
//! `liar` stands between the two and plants what the judge must find. What is promised and proven is told in
//! docs/checker.md.

pub mod history;
pub mod judge;
pub mod liar;
pub mod load;
pub mod matrix;
pub mod report;
pub mod sessions;
