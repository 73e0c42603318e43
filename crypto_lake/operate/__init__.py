"""Start what a person starts: jobs, the demo, the supervisor, services, the doctor, the status.

Here belongs what starts processes and runs, and says what came of them. What is typed is taken apart in `cli`; the work
itself is done in the rooms below. Only here, and in `cli`, may the collector be imported.
"""
