//! stub
pub struct Lanes;
impl Lanes { pub fn check(&self, _: std::time::Duration) -> Vec<u32> { vec![] } }
