use super::Report;

/// The report as JSON, indented by two spaces, with a final newline.
pub fn to_json(report: &Report) -> String {
    let mut json = serde_json::to_string_pretty(report).unwrap_or_else(|error| format!("\"{error}\""));
    json.push('\n');
    json
}
