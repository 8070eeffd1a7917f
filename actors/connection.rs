use crate::platform::NewConnection;
use aimg_actor_kit::*;
#[derive(Clone)]
pub struct ConnectionDeps;
impl ConnectionDeps {
    pub fn new(_: std::sync::Arc<aimg_fanout::Lanes>, _: std::sync::Arc<crate::deps::Deps>, _: usize, _: usize) -> Self {
        Self
    }
}
pub struct ConnectionSupervisor;
pub enum ConnectionSupervisorMessage {
    Accept(Box<NewConnection>),
}
impl ConnectionSupervisor {
    pub fn new(_: ConnectionDeps) -> Self {
        Self
    }
}
impl Dispatch for ConnectionSupervisor {
    type Message = ConnectionSupervisorMessage;
    const KIND: &'static str = "connections";
    async fn handle(&mut self, _: Self::Message, _: &mut Context<Self>) -> Result<(), ActorError> {
        Ok(())
    }
}
