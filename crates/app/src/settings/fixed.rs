//! What the configuration of the nodes sets in place of the stored settings. It is shown as set, and a change that
//! would make it another is refused: it would be kept and have no effect.

use model::{Violation, Violations};
use serde_json::{Value as Json, json};

use super::{S3, Settings};
use crate::error::{Error, Result};

#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// Where the files of records are.
    pub s3: Option<S3>,
}

impl Fixed {
    /// The settings in force.
    pub fn over(&self, mut stored: Settings) -> Settings {
        if let Some(s3) = &self.s3 {
            stored.s3 = s3.clone();
        }
        stored
    }

    /// Puts what is fixed in the place of what is stored, and returns that.
    pub(super) fn lay(&self, stored: &mut Json) -> Option<Json> {
        let s3 = self.s3.as_ref()?;
        Some(std::mem::replace(stored.get_mut("s3")?, json!(s3)))
    }

    /// Puts back what [`Fixed::lay`] returned, unless what is fixed was to be changed.
    pub(super) fn lift(&self, changed: &mut Json, stored: Option<Json>) -> Result<()> {
        let Some(s3) = &self.s3 else { return Ok(()) };
        if Settings::lenient(changed).s3 != *s3 {
            let violation = Violation::new(
                "validation_fixed_by_configuration",
                "The file store is set by files.s3 in the configuration of the nodes.",
            );
            return Err(Error::invalid(
                "An error occurred while saving the new settings.",
                Violations::one("s3", violation),
            ));
        }
        match stored {
            Some(stored) => changed["s3"] = stored,
            None => {
                if let Some(members) = changed.as_object_mut() {
                    members.remove("s3");
                }
            }
        }
        Ok(())
    }
}
