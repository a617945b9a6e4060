//! Comparisons as PostgreSQL needs them. Placeholder until the engine is built.

use query::{Operand, Operator};

use super::Renderer;

impl Renderer<'_> {
    pub(super) fn compare_postgres(&mut self, left: &Operand, op: Operator, right: &Operand) {
        let _ = (left, op, right);
        self.sql.push_str("FALSE");
    }
}
