"""Tests of the journal: on real files, real small disks and really killed processes."""
