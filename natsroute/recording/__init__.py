"""Recordings of messages: their files, and playing them again"""
