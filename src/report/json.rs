use serde::Deserialize;
use serde_json::Value;

use super::{Report, SCHEMA};
use crate::{Error, Result};

/// The report as JSON, indented by two spaces, with a final newline.
///
/// # Errors
///
/// [`Error::ReportForm`], which would be a defect of pythy's.
pub fn to_json(report: &Report) -> Result<String> {
    let json = serde_json::to_string_pretty(report);
    json.map(|json| json + "\n")
        .map_err(|error| Error::ReportForm { form: "JSON", message: error.to_string() })
}

/// Reads what [`to_json`] has written; else says what is wrong with it.
pub fn from_json(json: &str) -> std::result::Result<Report, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("its schema is '{other}', not '{SCHEMA}'")),
        None => return Err(format!("it does not say that its schema is '{SCHEMA}'")),
    }
    let report = Report::deserialize(value).map_err(|error| error.to_string())?;
    let numbers = |ids: &mut dyn Iterator<Item = u32>| ids.zip(1..).all(|(id, number)| id == number);
    if !numbers(&mut report.declarations.iter().map(|declaration| declaration.id))
        || !numbers(&mut report.call_sites.iter().map(|site| site.id))
    {
        return Err("its declarations or call sites are not numbered from 1".to_owned());
    }
    let known = |id: u32, count: usize| (1..=count).contains(&(id as usize));
    let calls = report.findings.iter().flat_map(|finding| [&finding.call, &finding.allocated_by]).flatten();
    let places = calls.map(|call| (call.declaration, call.call_site));
    let places = places.chain(report.calls.iter().map(|call| (call.declaration, call.call_site)));
    for (declaration, call_site) in places {
        if !known(declaration, report.declarations.len()) || !known(call_site, report.call_sites.len()) {
            return Err(format!("there is no declaration {declaration}, or no call site {call_site}"));
        }
    }
    Ok(report)
}
