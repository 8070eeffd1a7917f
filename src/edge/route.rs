//! A route is a row: method, path, who may, handler and document. What serves, what is documented and what the
//! authorisation test walks is this one list.

use crate::ask::Ask;
use crate::reply::Reply;
use crate::spec::{Field, Mode};
use aimg_domain::role::Permission;
use aimg_domain::{Fault, Role};
use http::Method;
use matchit::Router;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use utoipa::openapi::{RefOr, Schema};

pub type Answer = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send>>;
pub type Handler = fn(Ask) -> Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Public,
    /// Anybody who is signed in.
    SignedIn,
    Needs(Permission),
    /// Any of these is enough; the handler decides what each may.
    NeedsOneOf(&'static [Permission]),
}

impl Access {
    /// Whether a signed-in caller of this role passes.
    pub fn lets(&self, role: Role) -> bool {
        match self {
            Access::Public | Access::SignedIn => true,
            Access::Needs(permission) => role.may(*permission),
            Access::NeedsOneOf(any) => any.iter().any(|permission| role.may(*permission)),
        }
    }
}

/// A response's schema and everything it refers to.
pub type SchemaOf = fn(&mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema>;

#[derive(Clone, Copy)]
pub enum Answers {
    Json(SchemaOf),
    /// `{count, next, previous, results}` of these.
    List(SchemaOf),
    Empty,
    Other(&'static str),
    Socket,
}

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub handler: Handler,
    pub tag: &'static str,
    pub summary: &'static str,
    pub query: &'static [Field],
    pub body: Option<(&'static [Field], Mode)>,
    pub status: u16,
    pub answers: Answers,
    /// Other statuses that answer with the same shape.
    pub also: &'static [u16],
    /// Faults beside those every route may have, by HTTP status.
    pub errors: &'static [u16],
    /// Whether an `Idempotency-Key` makes a second asking harmless.
    pub idempotent: bool,
    pub timeout: Option<Duration>,
}

pub fn route(method: Method, path: &'static str, access: Access, handler: Handler) -> Route {
    Route {
        method,
        path,
        access,
        handler,
        tag: "",
        summary: "",
        query: &[],
        body: None,
        status: 200,
        answers: Answers::Empty,
        also: &[],
        errors: &[],
        idempotent: false,
        timeout: None,
    }
}

impl Route {
    pub fn about(mut self, tag: &'static str, summary: &'static str) -> Route {
        self.tag = tag;
        self.summary = summary;
        self
    }

    pub fn query(mut self, fields: &'static [Field]) -> Route {
        self.query = fields;
        self
    }

    pub fn body(mut self, fields: &'static [Field]) -> Route {
        self.body = Some((fields, Mode::Whole));
        self
    }

    pub fn partial(mut self, fields: &'static [Field]) -> Route {
        self.body = Some((fields, Mode::Partial));
        self
    }

    pub fn answers(mut self, status: u16, answers: Answers) -> Route {
        self.status = status;
        self.answers = answers;
        self
    }

    pub fn also(mut self, also: &'static [u16]) -> Route {
        self.also = also;
        self
    }

    pub fn errors(mut self, errors: &'static [u16]) -> Route {
        self.errors = errors;
        self
    }

    pub fn idempotent(mut self) -> Route {
        self.idempotent = true;
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Route {
        self.timeout = Some(timeout);
        self
    }
}

/// The schema of a type that is shown.
pub fn schema<T: utoipa::ToSchema>(referred: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    T::schemas(referred);
    referred.push((T::name().into_owned(), T::schema()));
    RefOr::Ref(utoipa::openapi::Ref::from_schema_name(T::name()))
}

pub struct Table {
    routes: Vec<Route>,
    paths: Router<Vec<(Method, usize)>>,
}

pub enum Found<'t> {
    Route(&'t Route, Vec<(String, String)>),
    /// The path exists; these methods do.
    OtherMethods(String),
    Nothing,
}

#[derive(Debug, thiserror::Error)]
#[error("route {path}: {why}")]
pub struct BadTable {
    path: String,
    why: String,
}

impl Table {
    pub fn new(routes: Vec<Route>) -> Result<Table, BadTable> {
        let mut by_path: Vec<(&'static str, Vec<(Method, usize)>)> = Vec::new();
        for (n, route) in routes.iter().enumerate() {
            match by_path.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.push((route.method.clone(), n)),
                None => by_path.push((route.path, vec![(route.method.clone(), n)])),
            }
        }
        let mut paths = Router::new();
        for (path, methods) in by_path {
            paths.insert(path, methods).map_err(|error| BadTable {
                path: path.to_owned(),
                why: error.to_string(),
            })?;
        }
        Ok(Table { routes, paths })
    }

    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// `HEAD` finds the row of `GET`. A trailing slash is the same path.
    pub fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
        let Ok(found) = self.paths.at(path) else { return Found::Nothing };
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        if let Some((_, n)) = found.value.iter().find(|(method, _)| method == wanted) {
            let params = found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Found::Route(&self.routes[*n], params);
        }
        let mut allow: Vec<&str> = found.value.iter().map(|(method, _)| method.as_str()).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.push("OPTIONS");
        Found::OtherMethods(allow.join(", "))
    }
}
