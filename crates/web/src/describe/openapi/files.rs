//! Downloads of the files of one collection's records.

use model::FieldKind;
use serde_json::{Map, Value as Json, json};

use super::{Subject, anyone, parameter, responses};

pub(super) fn add_paths(subject: &Subject<'_>, paths: &mut Map<String, Json>) {
    let fields = subject.collection.fields.iter().filter_map(|field| match &field.kind {
        FieldKind::File(file) if subject.reader.superuser || !field.hidden => Some(file),
        _ => None,
    });
    let fields: Vec<_> = fields.collect();
    if fields.is_empty() {
        return;
    }
    let mut thumbs: Vec<&str> = vec!["100x100"];
    for thumb in fields.iter().flat_map(|file| &file.thumbs) {
        if !thumbs.contains(&thumb.as_str()) && !thumb.is_empty() {
            thumbs.push(thumb);
        }
    }
    let mut parameters = vec![
        json!({
            "name": "thumb", "in": "query", "schema": {"type": "string"},
            "description": format!("A smaller form of an image: {}. Any other size gives the file itself.", thumbs.join(", ")),
        }),
        parameter("download"),
    ];
    if fields.iter().any(|file| file.protected) {
        parameters.push(parameter("fileToken"));
    }
    let mut operation = subject.operation("download", "Download a file", anyone());
    operation.insert("parameters".into(), parameters.into());
    let file = json!({"description": "The file.", "content": {"*/*": {}}});
    operation.insert("responses".into(), responses(("200", file), &["404"]));
    paths.insert(
        format!("/api/files/{}/{{id}}/{{filename}}", subject.name()),
        json!({"parameters": [parameter("id"), parameter("filename")], "get": operation}),
    );
}
