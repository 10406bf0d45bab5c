"""What a device is and how it does: the doctor's checks, and measurements."""
