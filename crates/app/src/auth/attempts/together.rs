//! Attempts in the database that several nodes share. A guess is counted by one statement before the code is looked at:
//! however many nodes are asked at once, together they let no more pass than one would.

use base::limits::{MAIL_RESEND_MS, OTP_ATTEMPTS_MAX, OTP_ATTEMPTS_MS, OTPS_OPEN_MAX};
use base::{Kind, Timestamp, Value};
use query::select::SortKey;
use query::{Batch, Column, ColumnType, Expr, Guard, Op, Operand, Operator, Select, Sort};
use store::{Part, Shared, Store, Take};

use crate::auth::owned::is;
use crate::error::{Error, Result};

/// One-time passwords that were asked for, whether the address is somebody's or not, and mails that go out once in a
/// while.
const TABLE: &str = "_pando_otp_requests";
const TRIES_MAX: u32 = 5;

pub(super) struct Together(Store);

impl Together {
    pub fn new(store: Store) -> Self {
        Together(store)
    }

    fn shared(&self) -> Result<&dyn Shared> {
        self.0.shared().ok_or_else(|| Error::internal("this database has no counts that nodes share"))
    }

    /// Counts once more; `false` when there were so many in the window before.
    async fn count(&self, key: &str, most: u64, window_ms: i64) -> Result<bool> {
        let take = Take { key, most, window_ms: window_ms.unsigned_abs(), part: Part::One, durable: true };
        Ok(self.shared()?.take(&take).await?.granted > 0)
    }

    async fn forget(&self, key: &str) {
        let forgotten = match self.shared() {
            Ok(shared) => shared.forget(key).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!(details = error.details, "attempts count on: {error}");
        }
    }

    /// The note is part of the mail's own commit: were it made before, and only its answer lost, there would be a note
    /// and never a mail.
    pub async fn once(
        &self,
        kind: &str,
        collection: &str,
        email: &str,
        now: Timestamp,
    ) -> Result<Option<Batch>> {
        let key = format!("mail {kind} {collection} {email}");
        let ends = now.0.saturating_add(MAIL_RESEND_MS);
        let expires = |op, at: i64| Expr::Compare {
            left: Operand::base("expires", ColumnType::Number),
            op,
            right: Value::Number(at as f64).into(),
        };
        // What a clock that was ahead has noted binds nobody for longer.
        let fresh = [is("id", &key), expires(Operator::Gt, now.0), expires(Operator::Le, ends)];
        let noted = Select::table(TABLE, vec![Column::new("id", ColumnType::Id)]).filter(Expr::and(fresh));
        if self.0.first(&noted).await?.is_some() {
            return Ok(None);
        }
        let forget = Op::DeleteWhere { table: TABLE.into(), filter: is("id", &key) };
        let note = Op::Insert {
            table: TABLE.into(),
            values: vec![
                ("id".into(), Value::from(key.as_str())),
                ("expires".into(), Value::Number(ends as f64)),
            ],
        };
        Ok(Some(Batch { guards: vec![Guard::Absent(noted)], ops: vec![forget, note], ..Batch::default() }))
    }

    pub async fn open_otp(
        &self,
        collection: &str,
        email: &str,
        otp: &str,
        now: Timestamp,
        lasts_ms: i64,
    ) -> Result<Option<String>> {
        let address = format!("{collection} {email}");
        let expires = || Operand::base("expires", ColumnType::Number);
        let later =
            Expr::Compare { left: expires(), op: Operator::Gt, right: Value::Number(now.0 as f64).into() };
        let open = Select::table(TABLE, vec![Column::new("id", ColumnType::Id)])
            .filter(Expr::and([is("address", &address), later]));
        let mut newest = open.clone().limit(OTPS_OPEN_MAX as u64);
        newest.sort = vec![
            Sort { by: SortKey::Operand(expires()), descending: true },
            Sort { by: SortKey::Insertion, descending: true },
        ];
        let mut one_too_many = open.limit(1);
        one_too_many.offset = OTPS_OPEN_MAX as u64 - 1;
        let insert = Op::Insert {
            table: TABLE.into(),
            values: vec![
                ("id".into(), Value::from(otp)),
                ("address".into(), Value::from(address.as_str())),
                ("expires".into(), Value::Number(now.0.saturating_add(lasts_ms) as f64)),
            ],
        };
        for _ in 0..TRIES_MAX {
            let open = self.0.select(&newest).await?;
            if let Some(newest) = open.first().filter(|_| open.len() >= OTPS_OPEN_MAX) {
                return Ok(Some(newest.get(0).text_or_empty().to_owned()));
            }
            // Others may ask for the same address at once.
            let guards = vec![Guard::Absent(one_too_many.clone())];
            match self.0.commit(Batch { guards, ops: vec![insert.clone()], ..Batch::default() }).await {
                Ok(_) => return Ok(None),
                Err(store::Error::Guard(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Kind::Unavailable, "Too many codes were asked for at once. Try again later."))
    }

    /// The address that the code was asked for with.
    async fn address(&self, otp: &str) -> Result<Option<String>> {
        let select = Select::by_ids(TABLE, vec![Column::new("address", ColumnType::Text)], vec![otp.into()]);
        let row = self.0.first(&select).await?;
        Ok(row.map(|row| row.get(0).text_or_empty().to_owned()))
    }

    pub async fn may_try(&self, otp: &str) -> Result<bool> {
        // One that nobody asked for stands for itself.
        let of = self.address(otp).await?.unwrap_or_else(|| otp.to_owned());
        self.count(&tried(&of), OTP_ATTEMPTS_MAX.into(), OTP_ATTEMPTS_MS).await
    }

    pub async fn used_otp(&self, otp: &str) {
        match self.address(otp).await {
            Ok(Some(address)) => self.forget(&tried(&address)).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(details = error.details, "attempts count on: {error}"),
        }
        self.not_sent_otp(otp).await;
    }

    pub async fn not_sent_otp(&self, otp: &str) {
        let delete = Op::DeleteWhere { table: TABLE.into(), filter: is("id", otp) };
        if let Err(error) = self.0.commit(Batch::op(delete)).await {
            tracing::warn!(%error, "a one-time password stays noted as open");
        }
    }

    pub async fn clean(&self, now: Timestamp) -> Result<()> {
        let over = Expr::Compare {
            left: Operand::base("expires", ColumnType::Number),
            op: Operator::Le,
            right: Value::Number(now.0 as f64).into(),
        };
        self.0.commit(Batch::op(Op::DeleteWhere { table: TABLE.into(), filter: over })).await?;
        Ok(())
    }
}

fn tried(of: &str) -> String {
    format!("code {of}")
}
