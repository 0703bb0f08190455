//! What the admin API says and is told: the types of its JSON. The service (`proxy/admin`) makes them, `burdock ctl` reads them,
//! and the OpenAPI document comes from them. They know words and numbers, nothing of what is behind.

pub mod explain;
pub mod problem;
pub mod process;
pub mod server;
pub mod table;
pub mod upstream;

/// Where the API begins.
pub const ROOT: &str = "/api/v1";
