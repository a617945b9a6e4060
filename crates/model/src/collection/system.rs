//! The collections of a new installation, and the blank ones that clients start from. Ids, fields, rules and
//! indexes are the reference's, so that either server opens what the other made.

use serde_json::{Value as Json, json};

use super::{AuthOptions, Collection, CollectionKind};
use crate::field::Field;

/// Lets a record's owner see what the system keeps about them.
const OWN: &str =
    "@request.auth.id != '' && recordRef = @request.auth.id && collectionRef = @request.auth.collectionId";

fn field(json: Json) -> Option<Field> {
    let mut field = Field::from_json(&json).ok()?;
    if field.id.is_empty() {
        field.id = crate::field::default_id(field.type_name(), &field.name).into();
    }
    Some(field)
}

pub(super) fn id() -> Json {
    json!({"type": "text", "name": "id", "system": true, "required": true, "primaryKey": true, "min": 15, "max": 15,
        "pattern": "^[a-z0-9]+$", "autogeneratePattern": "[a-z0-9]{15}"})
}

fn text(name: &str) -> Json {
    json!({"type": "text", "name": name, "system": true, "required": true})
}

fn password(cost: i64, min: i64) -> Json {
    json!({"type": "password", "name": "password", "system": true, "hidden": true, "required": true, "cost": cost,
        "min": min})
}

fn dates(system: bool) -> [Json; 2] {
    [
        json!({"type": "autodate", "name": "created", "system": system, "onCreate": true}),
        json!({"type": "autodate", "name": "updated", "system": system, "onCreate": true, "onUpdate": true}),
    ]
}

/// The fields of every auth collection, in order.
pub(super) fn auth_fields() -> Vec<Json> {
    vec![
        id(),
        password(0, 8),
        json!({"type": "text", "name": "tokenKey", "system": true, "hidden": true, "required": true, "min": 30,
            "max": 60, "autogeneratePattern": "[a-zA-Z0-9]{50}"}),
        json!({"type": "email", "name": "email", "system": true, "required": true}),
        json!({"type": "bool", "name": "emailVisibility", "system": true}),
        json!({"type": "bool", "name": "verified", "system": true}),
    ]
}

/// The indexes of every auth collection; `suffix` keeps their names apart.
pub(super) fn auth_indexes(table: &str, suffix: &str) -> Vec<String> {
    vec![
        format!("CREATE UNIQUE INDEX `idx_tokenKey_{suffix}` ON `{table}` (`tokenKey`)"),
        format!("CREATE UNIQUE INDEX `idx_email_{suffix}` ON `{table}` (`email`) WHERE `email` != ''"),
    ]
}

fn fields(list: impl IntoIterator<Item = Json>) -> Vec<Field> {
    list.into_iter().filter_map(field).collect()
}

/// A system collection that holds something about auth records.
fn about_records(id: &str, name: &str, extra: Vec<Json>, index: &str, deletable: bool) -> Collection {
    let mut collection = Collection::blank(CollectionKind::Base);
    collection.id = id.into();
    collection.name = name.into();
    collection.system = true;
    let common = [super::system::id(), text("collectionRef"), text("recordRef")];
    collection.fields = fields(common.into_iter().chain(extra).chain(dates(true)));
    collection.indexes = index.split(';').filter(|text| !text.is_empty()).map(str::to_string).collect();
    collection.list_rule = Some(OWN.into());
    collection.view_rule = Some(OWN.into());
    collection.delete_rule = deletable.then(|| OWN.into());
    collection.seal();
    collection
}

/// What a new installation starts with, in order of creation.
pub fn system_collections() -> Vec<Collection> {
    let mfas = about_records(
        "pbc_2279338944",
        "_mfas",
        vec![text("method")],
        "CREATE INDEX `idx_mfas_collectionRef_recordRef` ON `_mfas` (collectionRef,recordRef)",
        false,
    );
    let otps = about_records(
        "pbc_1638494021",
        "_otps",
        vec![
            password(8, 0),
            json!({"type": "text", "name": "sentTo", "system": true, "hidden": true}),
        ],
        "CREATE INDEX `idx_otps_collectionRef_recordRef` ON `_otps` (collectionRef, recordRef)",
        false,
    );
    let external = about_records(
        "pbc_2281828961",
        "_externalAuths",
        vec![text("provider"), text("providerId")],
        "CREATE UNIQUE INDEX `idx_externalAuths_record_provider` ON `_externalAuths` (collectionRef, recordRef, provider);\
         CREATE UNIQUE INDEX `idx_externalAuths_collection_provider` ON `_externalAuths` (collectionRef, provider, providerId)",
        true,
    );
    let origins = about_records(
        "pbc_4275539003",
        "_authOrigins",
        vec![text("fingerprint")],
        "CREATE UNIQUE INDEX `idx_authOrigins_unique_pairs` ON `_authOrigins` (collectionRef, recordRef, fingerprint)",
        true,
    );

    let mut options = AuthOptions::defaults();
    options.auth_token.duration = 86_400;
    let mut superusers = Collection::blank(CollectionKind::Auth(Box::new(options)));
    superusers.id = "pbc_3142635823".into();
    superusers.name = super::SUPERUSERS.into();
    superusers.system = true;
    superusers.fields = fields(auth_fields().into_iter().chain(dates(true)));
    superusers.indexes = auth_indexes(&superusers.name, &superusers.id);
    superusers.seal();

    let mut options = AuthOptions::defaults();
    options.oauth2.mapped_name = "name".into();
    options.oauth2.mapped_avatar = "avatar".into();
    let mut users = Collection::blank(CollectionKind::Auth(Box::new(options)));
    users.id = "_pb_users_auth_".into();
    users.name = "users".into();
    users.fields = fields(
        auth_fields()
            .into_iter()
            .chain([
                json!({"type": "text", "name": "name", "max": 255}),
                json!({"type": "file", "name": "avatar", "maxSelect": 1, "mimeTypes": ["image/jpeg", "image/png",
                    "image/svg+xml", "image/gif", "image/webp"]}),
            ])
            .chain(dates(false)),
    );
    users.indexes = auth_indexes(&users.name, &users.id);
    let own = Some("id = @request.auth.id".to_string());
    users.list_rule = own.clone();
    users.view_rule = own.clone();
    users.create_rule = Some(String::new());
    users.update_rule = own.clone();
    users.delete_rule = own;
    users.seal();

    vec![mfas, otps, external, origins, superusers, users]
}

/// One blank collection of each type, for clients to fill in.
pub fn scaffolds() -> Vec<Collection> {
    let mut base = Collection::blank(CollectionKind::Base);
    base.fields = fields([id()]);
    let mut auth = Collection::blank(CollectionKind::Auth(Box::new(AuthOptions::defaults())));
    auth.fields = fields(auth_fields());
    const SUFFIX_LEN: usize = 10;
    auth.indexes = auth_indexes("", &base::id::random(SUFFIX_LEN, base::id::RECORD_ALPHABET));
    vec![Collection::blank(CollectionKind::View { query: String::new() }), base, auth]
}
