use super::{Report, SCHEMA};

/// The report as JSON, indented by two spaces, with a final newline.
pub fn to_json(report: &Report) -> String {
    let mut json = serde_json::to_string_pretty(report).unwrap_or_else(|error| format!("\"{error}\""));
    json.push('\n');
    json
}

/// Reads what [`to_json`] has written; else says what is wrong with it.
pub fn from_json(json: &str) -> Result<Report, String> {
    let report: Report = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let known = |id: u32, count: usize| (1..=count).contains(&(id as usize));
    let calls = report.findings.iter().flat_map(|finding| [&finding.call, &finding.allocated_by]).flatten();
    let places = calls.map(|call| (call.declaration, call.call_site));
    let places = places.chain(report.calls.iter().map(|call| (call.declaration, call.call_site)));
    for (declaration, call_site) in places {
        if !known(declaration, report.declarations.len()) || !known(call_site, report.call_sites.len()) {
            return Err(format!("there is no declaration {declaration}, or no call site {call_site}"));
        }
    }
    match report.schema == SCHEMA {
        true => Ok(report),
        false => Err(format!("its schema is '{}', not '{SCHEMA}'", report.schema)),
    }
}
