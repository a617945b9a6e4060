//! Which row sources an expression refers to.

use query::{Alias, Expr, Join, Operand, Source};
use smallvec::SmallVec;

/// A small set of aliases.
#[derive(Clone, Debug, Default)]
pub struct Aliases(SmallVec<[Alias; 12]>);

impl Aliases {
    pub fn contains(&self, alias: Alias) -> bool {
        self.0.contains(&alias)
    }

    pub fn insert(&mut self, alias: Alias) {
        if !self.contains(alias) {
            self.0.push(alias);
        }
    }

    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn intersects(&self, other: &Aliases) -> bool {
        self.0.iter().any(|alias| other.contains(*alias))
    }

    pub fn of_expr(expr: &Expr) -> Aliases {
        let mut out = Aliases::default();
        out.add_expr(expr);
        out
    }

    pub fn of_operand(operand: &Operand) -> Aliases {
        let mut out = Aliases::default();
        out.add_operand(operand);
        out
    }

    /// What the join refers to, itself included when its condition does.
    pub fn of_join(join: &Join) -> Aliases {
        let mut out = Aliases::default();
        out.add_join(join);
        out
    }

    pub fn add_expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Const(_) => {}
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| self.add_expr(part)),
            Expr::Not(inner) => self.add_expr(inner),
            Expr::Compare { left, right, .. } | Expr::Same(left, right) => {
                self.add_operand(left);
                self.add_operand(right);
            }
            Expr::In { left, .. } | Expr::Missing(left) => self.add_operand(left),
            Expr::All { joins, test } | Expr::Exists { joins, test } => {
                joins.iter().for_each(|join| self.add_join(join));
                self.add_expr(test);
            }
        }
    }

    fn add_join(&mut self, join: &Join) {
        if let Source::Each(of) = &join.source {
            self.add_operand(of);
        }
        self.add_expr(&join.on);
    }

    pub fn add_operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Column { alias, .. } | Operand::Element(alias) => self.insert(*alias),
            Operand::Literal(_) => {}
            Operand::Path { of, .. } | Operand::Length(of) | Operand::Lower(of) => self.add_operand(of),
            Operand::GeoDistance(parts) => parts.iter().for_each(|part| self.add_operand(part)),
            Operand::Strftime { value, .. } => self.add_operand(value),
        }
    }
}

impl Aliases {
    pub fn for_each(&self, each: impl FnMut(Alias)) {
        self.0.iter().copied().for_each(each);
    }
}
