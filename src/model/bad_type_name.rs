/// Why a text is not the name of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTypeName {
    /// A word in it names no type.
    Unknown {
        /// The word, with its `struct`, `union` or `enum`.
        name: String,
        /// The type whose name is nearest, if one is near.
        nearest: Option<String>,
    },
    /// It is not spelled as C has it.
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// What does; `None` at the end.
        found: Option<String>,
        /// Where, in characters from 1.
        column: usize,
    },
    /// It is spelled well, but there is no such type in C.
    Impossible(&'static str),
    /// It has more pointers, arrays and functions in one another than this.
    TooDeep(usize),
}

impl BadTypeName {
    /// What is wrong with `type_name`, which `headers` should have.
    pub fn message(&self, type_name: &str, headers: &str) -> String {
        const LONGEST: usize = 200;
        let cut: String;
        let type_name = match type_name.char_indices().nth(LONGEST) {
            Some((end, _)) => {
                cut = format!("{}…", &type_name[..end]);
                &cut
            }
            None => type_name,
        };
        match self {
            Self::Unknown { name, nearest: Some(nearest) } => {
                format!("'{name}' is not a type of {headers}; did you mean '{nearest}'?")
            }
            Self::Unknown { name, nearest: None } => format!("'{name}' is not a type of {headers}"),
            Self::Syntax { expected, found: Some(found), column } => {
                format!("'{type_name}' is no C type: {expected} expected at column {column}, not '{found}'")
            }
            Self::Syntax { expected, found: None, .. } => {
                format!("'{type_name}' is no C type: {expected} expected at its end")
            }
            Self::TooDeep(most) => {
                format!(
                    "'{type_name}' is too deep: of pointers, arrays and functions in one another {most} will do"
                )
            }
            Self::Impossible(what) => format!("'{type_name}' is no C type: there is no {what}"),
        }
    }
}
