//! The collections that every installation starts with, and the templates of new ones.

use serde_json::{Map, Value as Json, json};

use super::draft::{add_auth_indexes, complete, id_field};
use super::{AuthOptions, Collection, CollectionKind, SUPERUSERS};
use crate::field::{AutodateField, Field, FieldKind, FileField, PasswordField, TextField};

/// Names and ids, which other data and other software refer to.
const IDS: [(&str, &str); 6] = [
    ("_mfas", "pbc_2279338944"),
    ("_otps", "pbc_1638494021"),
    ("_externalAuths", "pbc_2281828961"),
    ("_authOrigins", "pbc_4275539003"),
    (SUPERUSERS, "pbc_3142635823"),
    ("users", "_pb_users_auth_"),
];

fn id_of(name: &str) -> Option<&'static str> {
    IDS.iter().find(|(other, _)| *other == name).map(|(_, id)| *id)
}

/// The rule of records that belong to one auth record.
const OWNER: &str =
    "@request.auth.id != '' && recordRef = @request.auth.id && collectionRef = @request.auth.collectionId";

/// In order of creation. `now` is the time of creation as the API writes it.
pub fn all(now: &str) -> Vec<Collection> {
    let method = required_text("method");
    let password = Field {
        hidden: true,
        ..Field::new(
            "password",
            FieldKind::Password(PasswordField { required: true, cost: 8, ..PasswordField::default() }),
        )
    };
    let sent_to = Field { hidden: true, ..Field::new("sentTo", FieldKind::Text(TextField::default())) };
    let mut collections = vec![
        owned(
            "_mfas",
            vec![method],
            false,
            &["CREATE INDEX `idx_mfas_collectionRef_recordRef` ON `_mfas` (collectionRef,recordRef)"],
        ),
        owned(
            "_otps",
            vec![password, sent_to],
            false,
            &["CREATE INDEX `idx_otps_collectionRef_recordRef` ON `_otps` (collectionRef, recordRef)"],
        ),
        owned(
            "_externalAuths",
            vec![required_text("provider"), required_text("providerId")],
            true,
            &[
                "CREATE UNIQUE INDEX `idx_externalAuths_record_provider` ON `_externalAuths` (collectionRef, recordRef, provider)",
                "CREATE UNIQUE INDEX `idx_externalAuths_collection_provider` ON `_externalAuths` (collectionRef, provider, providerId)",
            ],
        ),
        owned(
            "_authOrigins",
            vec![required_text("fingerprint")],
            true,
            &[
                "CREATE UNIQUE INDEX `idx_authOrigins_unique_pairs` ON `_authOrigins` (collectionRef, recordRef, fingerprint)",
            ],
        ),
        superusers(),
        users(),
    ];
    for collection in &mut collections {
        collection.created = now.to_owned();
        collection.updated = now.to_owned();
        let suffix = collection.id.clone();
        complete(collection, &suffix);
    }
    collections
}

fn named(name: &str, kind: CollectionKind) -> Collection {
    let mut collection = Collection::blank(kind);
    collection.name = name.into();
    collection.id = id_of(name).unwrap_or_default().into();
    collection
}

/// A system collection whose records belong to one auth record each.
fn owned(name: &str, own: Vec<Field>, deletable: bool, indexes: &[&str]) -> Collection {
    let mut collection = named(name, CollectionKind::Base);
    collection.system = true;
    collection.fields = vec![id_field(), required_text("collectionRef"), required_text("recordRef")];
    collection.fields.extend(own);
    collection.fields.extend(dates());
    for field in &mut collection.fields {
        field.system = true;
    }
    collection.indexes = indexes.iter().map(|index| (*index).to_owned()).collect();
    collection.list_rule = Some(OWNER.into());
    collection.view_rule = Some(OWNER.into());
    collection.delete_rule = deletable.then(|| OWNER.into());
    collection
}

fn required_text(name: &str) -> Field {
    Field::new(name, FieldKind::Text(TextField { required: true, ..TextField::default() }))
}

fn dates() -> [Field; 2] {
    [
        Field::new("created", FieldKind::Autodate(AutodateField { on_create: true, on_update: false })),
        Field::new("updated", FieldKind::Autodate(AutodateField { on_create: true, on_update: true })),
    ]
}

fn superusers() -> Collection {
    let mut options = AuthOptions::defaults();
    options.auth_token.duration = 86_400;
    let mut collection = named(SUPERUSERS, CollectionKind::Auth(Box::new(options)));
    collection.system = true;
    collection.fields = vec![id_field()];
    collection.fields.extend(super::draft::auth_fields());
    collection.fields.extend(dates().map(|field| Field { system: true, ..field }));
    collection
}

/// The one collection that is not a system's: a start for the application's own users.
fn users() -> Collection {
    let mut options = AuthOptions::defaults();
    options.oauth2.mapped_name = "name".into();
    options.oauth2.mapped_avatar = "avatar".into();
    let mut collection = named("users", CollectionKind::Auth(Box::new(options)));
    let mime_types = ["image/jpeg", "image/png", "image/svg+xml", "image/gif", "image/webp"];
    let avatar = FileField {
        max_select: 1,
        mime_types: mime_types.map(str::to_owned).to_vec(),
        ..FileField::default()
    };
    collection.fields = vec![id_field()];
    collection.fields.extend(super::draft::auth_fields());
    let name = Field::new("name", FieldKind::Text(TextField { max: 255, ..TextField::default() }));
    collection.fields.extend([name, Field::new("avatar", FieldKind::File(avatar))]);
    collection.fields.extend(dates());
    let own = Some(String::from("id = @request.auth.id"));
    collection.list_rule.clone_from(&own);
    collection.view_rule.clone_from(&own);
    collection.create_rule = Some(String::new());
    collection.update_rule.clone_from(&own);
    collection.delete_rule = own;
    collection
}

/// Random characters in the index names of a template.
const SCAFFOLD_SUFFIX_LEN: usize = 10;

/// What a client may start a new collection of each type from.
pub fn scaffolds() -> Json {
    let base = scaffold(CollectionKind::Base);
    let mut auth = Collection::blank(CollectionKind::Auth(Box::new(AuthOptions::defaults())));
    auth.fields = vec![id_field()];
    auth.fields.extend(super::draft::auth_fields());
    add_auth_indexes(&mut auth, &base::id::random(SCAFFOLD_SUFFIX_LEN, base::id::RECORD_ALPHABET));
    let view = Collection::blank(CollectionKind::View { query: String::new() });
    let mut out = Map::new();
    out.insert("base".into(), base);
    out.insert("auth".into(), json!(auth.to_json(false)));
    out.insert("view".into(), view.to_json(false));
    Json::Object(out)
}

fn scaffold(kind: CollectionKind) -> Json {
    let mut collection = Collection::blank(kind);
    collection.fields = vec![id_field()];
    collection.to_json(false)
}
