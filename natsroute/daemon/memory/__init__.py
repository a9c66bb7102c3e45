"""What stands for a server when programs are tested without one."""
