use super::group::groups;
use super::level::Level;
use super::place::{normal, place};
use super::summary::summary;
use super::{Report, Screen};

/// The report as GitHub's workflow commands, which show each finding at its line of Python; the last line is the
/// summary, for the log. Paths stay absolute: the runner knows where the repository begins.
///
/// See <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
pub fn to_github(report: &Report, screen: &Screen) -> String {
    let mut text = String::new();
    for group in groups(report) {
        let finding = group.finding;
        let command = match Level::of(finding) {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let place = place(report, finding)
            .map(|place| format!("file={},line={},", property(&absolute(place.file, screen)), place.line))
            .unwrap_or_default();
        let by = match finding.told_of() {
            Some(call) => format!(" in {}()", report.declaration(call.declaration).name),
            None => String::new(),
        };
        let title = property(&format!("{}{by}", finding.kind));
        let story = data(&group.story(report, screen));
        text.push_str(&format!("::{command} {place}title={title}::{story}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("::notice title=pythy::{}\n", data(note)));
    }
    match report.is_checked() {
        true => text + &summary(report),
        false => text + &format!("::warning::{}\n", data(summary(report).trim_end())),
    }
}

fn absolute(file: &str, screen: &Screen) -> String {
    normal(&screen.directory.clone().unwrap_or_default().join(file)).display().to_string()
}

/// A command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of one of a command's properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
