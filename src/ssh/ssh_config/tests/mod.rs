//! Judged against the real `ssh`.
