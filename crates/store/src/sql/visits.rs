//! Visits, counted by the database.

use std::fmt::Write;

use base::Value;
use query::Visits;
use query::visits::By;

use super::render::Renderer;
use super::{Dialect, Statement};

impl Renderer<'_> {
    pub fn visits(mut self, visits: &Visits) -> Statement {
        let (count, week) = match self.dialect {
            Dialect::Sqlite => ("COUNT(*)", r#"CAST(("day"+3)/7 AS INTEGER)"#),
            Dialect::Postgres => ("COUNT(*)::float8", r#"floor(("day"+3)/7)"#),
        };
        match visits.by {
            By::Span { since, longest } => {
                let _ = write!(
                    self.sql,
                    r#"SELECT "day",CASE WHEN "gap"<{longest} THEN "gap" ELSE {longest} END,{count} FROM (SELECT "day",LEAD("day") OVER (PARTITION BY "record" ORDER BY "day")-"day" AS "gap""#
                );
                self.visits_of(visits);
                let _ = write!(self.sql, r#" AND "day">={since}) AS "spans" GROUP BY 1,2 ORDER BY 1,2"#);
            }
            By::Week => {
                let _ = write!(
                    self.sql,
                    r#"SELECT "first","week",{count} FROM (SELECT "week",MIN("week") OVER (PARTITION BY "record") AS "first" FROM (SELECT DISTINCT "record",{week} AS "week""#
                );
                self.visits_of(visits);
                self.sql.push_str(r#") AS "came") AS "weeks" GROUP BY 1,2 ORDER BY 1,2"#);
            }
        }
        self.finish()
    }

    fn visits_of(&mut self, visits: &Visits) {
        let _ = write!(self.sql, r#" FROM "{}" WHERE "collection"="#, visits.table);
        self.param(Value::text(&*visits.collection));
    }
}
