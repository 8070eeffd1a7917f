//! Every row of the table, by resource.

mod auth;
pub mod calls;
mod cluster;
mod events;
mod links;
mod node;
mod pbxs;
mod recordings;
mod sockets;
mod tenants;
pub mod users;

use crate::route::Route;
pub use cluster::TREE_PAGE_MAX;

/// A row's handler from an async function.
macro_rules! handler {
    ($function:expr) => {{
        let handler: $crate::route::Handler = |ask| Box::pin($function(ask));
        handler
    }};
}
pub(crate) use handler;

pub fn all() -> Vec<Route> {
    let mut rows = node::rows();
    rows.extend(auth::rows());
    rows.extend(tenants::rows());
    rows.extend(users::rows());
    rows.extend(pbxs::rows());
    rows.extend(links::rows());
    rows.extend(calls::rows());
    rows.extend(recordings::rows());
    rows.extend(events::rows());
    rows.extend(cluster::rows());
    rows.extend(sockets::rows());
    rows
}
