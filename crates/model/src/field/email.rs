//! An email address.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::address;
use super::read::Reader;
use super::{Field, FieldType, Malformed, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmailField {
    pub required: bool,
    pub except_domains: Vec<String>,
    pub only_domains: Vec<String>,
}

impl EmailField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = EmailField::default();
        reader.bool("required", &mut field.required)?;
        reader.texts("exceptDomains", &mut field.except_domains)?;
        reader.texts("onlyDomains", &mut field.only_domains)?;
        Ok(field)
    }
}

impl FieldType for EmailField {
    fn name(&self) -> &'static str {
        "email"
    }

    fn column_type(&self) -> ColumnType {
        ColumnType::Text
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("exceptDomains".into(), Json::from(self.except_domains.clone()));
        out.insert("onlyDomains".into(), Json::from(self.only_domains.clone()));
    }

    fn prepare(&self, input: &Json) -> Value {
        Value::text(cast::text(input))
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        let text = value.text_or_empty();
        if text.is_empty() {
            return self.required.then(Violation::required);
        }
        if !address::is_email(text) {
            return Some(Violation::new("validation_is_email", "Must be a valid email address."));
        }
        let domain = text.rsplit_once('@').map_or("", |(_, domain)| domain);
        (!address::is_allowed(domain, &self.only_domains, &self.except_domains))
            .then(|| Violation::new("validation_email_domain_not_allowed", "Email domain is not allowed."))
    }

    fn check(&self, _cx: &OptionsContext<'_>) -> Violations {
        address::check_lists(&self.only_domains, &self.except_domains)
    }
}
