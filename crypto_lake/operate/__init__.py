"""What a person starts, beyond single questions: the demo, the supervisor, services, the doctor."""
