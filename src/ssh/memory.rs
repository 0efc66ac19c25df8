#[derive(Debug, Clone, Default)]
pub struct Memory;
