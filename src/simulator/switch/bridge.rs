//! A bridge and who is in it.

use crate::clock::SimTime;
use crate::switch::json::Json;

pub(crate) struct Bridge {
    pub(crate) id: String,
    pub(crate) name: String,
    /// AMI's BridgeType: `basic` or `stasis`.
    pub(crate) kind: &'static str,
    pub(crate) technology: &'static str,
    pub(crate) creator: &'static str,
    pub(crate) video_mode: &'static str,
    pub(crate) members: Vec<String>,
    pub(crate) created: SimTime,
    pub(crate) watchers: Vec<String>,
}

impl Bridge {
    pub(crate) fn json(&self) -> Json {
        let mut members = self.members.clone();
        members.sort();
        Json::object()
            .text("id", &self.id)
            .text("technology", self.technology)
            .text("bridge_type", "mixing")
            .text("bridge_class", self.kind)
            .text("creator", self.creator)
            .text("name", &self.name)
            .texts("channels", &members)
            .text("creationtime", &self.created.ari())
            .text("video_mode", self.video_mode)
    }
}
