use serde::{Deserialize, Serialize};

use super::{Constant, Directives, Enumeration, Function, Global, Record, Typedef};

/// Everything a translation unit declares, each kind in the order of its first declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// Functions, each once, described by its best declaration.
    pub functions: Vec<Function>,
    /// Structs and unions.
    pub records: Vec<Record>,
    /// Enums.
    pub enumerations: Vec<Enumeration>,
    /// Typedefs.
    pub typedefs: Vec<Typedef>,
    /// Macro constants.
    pub constants: Vec<Constant>,
    /// Variables.
    pub globals: Vec<Global>,
    /// What directives in the comments say.
    pub directives: Directives,
}
