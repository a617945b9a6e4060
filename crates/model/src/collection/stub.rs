//! placeholder until validation lands
use super::*;
use crate::field::Malformed;
use crate::{Schema, Violations};
use serde_json::Value as Json;
impl Collection {
    pub fn create(body: &Json) -> Result<Self, Malformed> {
        let mut c = Collection::from_json(body)?;
        if c.fields.iter().all(|f| &*f.name != "id") {
            let mut all: Vec<Field> = vec![Field::from_json(&super::system::id())?];
            all.append(&mut c.fields);
            c.fields = all;
        }
        for f in &mut c.fields { if f.id.is_empty() { f.id = crate::field::default_id(f.type_name(), &f.name).into(); } }
        if c.id.is_empty() { c.id = format!("pbc_{}", crate::checksum::crc32(format!("{}{}", c.kind.name(), c.name).as_bytes())).into(); }
        c.retarget_indexes();
        c.seal();
        Ok(c)
    }
    pub fn patched(&self, body: &Json) -> Result<Self, Malformed> {
        let mut c = self.clone();
        c.merge(crate::field::read::Reader::of(body)?)?;
        c.seal();
        Ok(c)
    }
    pub fn validate(&self, _old: Option<&Collection>, _schema: &Schema, _check: &dyn Fn(&Collection, &str) -> Result<(), String>) -> Violations {
        Violations::default()
    }
}
