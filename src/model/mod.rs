//! What the headers promised, free of libclang's types so that it can be cached, sent to the
//! worker and built by hand in tests.

mod bad_type_name;
mod constant;
mod declarator;
mod directive;
mod enumeration;
mod expression;
mod function;
mod global;
mod interface;
mod layout;
mod location;
mod lookup;
mod nearest;
mod reach;
mod record;
mod spelling;
mod text;
mod ty;
mod typedef;

pub use bad_type_name::BadTypeName;
pub use constant::{Constant, ConstantValue};
pub use directive::{Alias, Class, Cleanup, Directives, Length, Property, Wrapper};
pub use enumeration::{Enumeration, Enumerator};
pub use expression::{BadExpression, Expression, Names, Operator};
pub use function::{Function, Linkage, Parameter};
pub use global::Global;
pub use interface::Interface;
pub use location::Location;
pub use nearest::{did_you_mean, nearest};
pub use record::{Field, Record, RecordKind};
pub use spelling::pointer_to;
pub use text::Text;
pub use ty::{FloatType, FunctionType, IntegerType, Type, TypeKind};
pub use typedef::Typedef;
