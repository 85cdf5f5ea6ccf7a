from django.apps import AppConfig


class HouseConfig(AppConfig):
    name = "dwelling"
    label = "house"
