"""Who disagrees about what, what does it mean, and what is left out?"""
