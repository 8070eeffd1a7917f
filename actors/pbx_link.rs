//! `PbxLink`: a tie of a tenant to a pbx. It installs the tenant's claims in the directory and holds the policy;
//! calls do not pass through it.

use crate::pbx_handle::PbxHandles;
use crate::routing::Router;
use aimg_actor_kit::{ActorError, Context, Dispatch, Reply};
use aimg_domain::Clock;
use aimg_domain::link::PbxLink;
use std::sync::Arc;

pub enum PbxLinkMessage {
    Changed(Box<PbxLink>),
    Remove(Reply<()>),
}

pub struct PbxLinkActor {
    link: PbxLink,
    pbxs: PbxHandles,
    router: Router,
    clock: Arc<dyn Clock>,
}

impl PbxLinkActor {
    pub fn new(link: PbxLink, pbxs: PbxHandles, router: Router, clock: Arc<dyn Clock>) -> PbxLinkActor {
        PbxLinkActor { link, pbxs, router, clock }
    }

    fn install(&self, context: &Context<Self>) {
        let Some(handle) = self.pbxs.get(self.link.pbx_id) else {
            context.note("its pbx is not attached");
            return;
        };
        handle.set_link(self.link.clone());
        let (link, now) = (self.link.clone(), self.clock.now());
        self.router.apply(&handle.directory, |directory| directory.install(link, now));
        context.note("claiming");
    }
}

impl Dispatch for PbxLinkActor {
    type Message = PbxLinkMessage;
    const KIND: &'static str = "pbx_link";
    const BOUND: usize = 64;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        self.install(context);
        Ok(())
    }

    async fn handle(&mut self, message: PbxLinkMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        match message {
            PbxLinkMessage::Changed(link) => {
                self.link = *link;
                self.install(context);
            }
            PbxLinkMessage::Remove(reply) => {
                if let Some(handle) = self.pbxs.get(self.link.pbx_id) {
                    handle.remove_link(self.link.id);
                    let id = self.link.id;
                    self.router.apply(&handle.directory, |directory| directory.remove(id));
                }
                reply.send(());
                context.stop();
            }
        }
        Ok(())
    }
}
